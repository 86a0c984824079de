package preflight

import (
	"fmt"
	"strconv"
	"time"
)

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	const step = 1024
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	size, unit := float64(n), 0
	for size >= step && unit < len(units)-1 {
		size /= step
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// countText is a number of things for people.
func countText(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", n/1e6)
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", int(n)/1000, int(n)%1000)
	default:
		return strconv.Itoa(int(n))
	}
}

// rateText is a number of events a second.
func rateText(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return countText(perSecond)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
