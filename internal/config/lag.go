package config

import (
	"fmt"
	"regexp"
	"time"
)

// Lag says which consumer groups are watched, and how often.
type Lag struct {
	// Include and Exclude are patterns (RE2) that match the whole name of a group.
	Include  []string      `yaml:"include"`
	Exclude  []string      `yaml:"exclude"`
	Interval time.Duration `yaml:"interval"` // 0: nobody asks; longer where there are many groups
	// Partitions shows each partition in metrics, and not only topics.
	Partitions bool `yaml:"partitions"`
	MaxSeries  int  `yaml:"max_series"` // of metrics about groups
}

const (
	minLagInterval, maxLagInterval = time.Second, time.Hour
	// minLagSeries is a handful of groups, maxLagSeries more than a Prometheus server likes
	// of one process.
	minLagSeries, maxLagSeries = 100, 1_000_000
)

func (v validator) lag() {
	l := v.c.Lag
	v.lagPatterns("lag.include", l.Include)
	v.lagPatterns("lag.exclude", l.Exclude)
	v.check(l.Interval == 0 || l.Interval >= minLagInterval && l.Interval <= maxLagInterval, "lag.interval",
		fmt.Sprintf("must be 0 or from %s to 1h", minLagInterval), "write for example 5s, or 0s to watch nothing")
	v.check(l.MaxSeries >= minLagSeries && l.MaxSeries <= maxLagSeries, "lag.max_series",
		fmt.Sprintf("must be from %d to %d", minLagSeries, maxLagSeries), "write for example 10000")
}

func (v validator) lagPatterns(path string, patterns []string) {
	for i, text := range patterns {
		at := fmt.Sprintf("%s[%d]", path, i)
		if text == "" {
			v.check(false, at, "is empty, and matches no group", "remove it, or write .* for all groups")
			continue
		}
		_, err := regexp.Compile("^(?:" + text + ")$")
		v.check(err == nil, at, v.show(at, text)+" is not a regular expression (RE2)", "write for example orders-.*")
	}
}
