package formats

import "strings"

// digits reads s, which must be n ASCII digits.
func digits(s string, n int) (value int, ok bool) {
	if len(s) != n || !all(s, isDigit) {
		return 0, false
	}
	for i := range len(s) {
		value = 10*value + int(s[i]-'0')
	}
	return value, true
}

// isDate follows RFC 3339 §5.6, full-date, with the days that the month has (§5.7).
func isDate(s string) bool {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return false
	}
	year, yearOK := digits(s[:4], 4)
	month, monthOK := digits(s[5:7], 2)
	day, dayOK := digits(s[8:], 2)
	if !yearOK || !monthOK || !dayOK || month < 1 || month > 12 || day < 1 {
		return false
	}
	days := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

// isTime follows RFC 3339 §5.6, full-time. A leap second is the last one of a day in
// UTC.
func isTime(s string) bool {
	if len(s) < 9 || s[2] != ':' || s[5] != ':' {
		return false
	}
	hour, hourOK := digits(s[:2], 2)
	minute, minuteOK := digits(s[3:5], 2)
	second, secondOK := digits(s[6:8], 2)
	if !hourOK || !minuteOK || !secondOK || hour > 23 || minute > 59 || second > 60 {
		return false
	}
	rest := s[8:]
	if rest[0] == '.' {
		end := 1
		for end < len(rest) && isDigit(rest[end]) {
			end++
		}
		if end == 1 || end == len(rest) {
			return false
		}
		rest = rest[end:]
	}
	offset, ok := offsetMinutes(rest)
	if !ok || second < 60 {
		return ok
	}
	const day = 24 * 60
	return (60*hour+minute-offset+day)%day == day-1
}

// offsetMinutes reads a time-offset, in minutes east of UTC.
func offsetMinutes(s string) (minutes int, ok bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hour, hourOK := digits(s[1:3], 2)
	minute, minuteOK := digits(s[4:], 2)
	if !hourOK || !minuteOK || hour > 23 || minute > 59 {
		return 0, false
	}
	minutes = 60*hour + minute
	if s[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

// isDateTime follows RFC 3339 §5.6, date-time.
func isDateTime(s string) bool {
	return len(s) > 11 && (s[10] == 'T' || s[10] == 't') && isDate(s[:10]) && isTime(s[11:])
}

// isDuration follows RFC 3339 appendix A: units in order, none left out between two
// others (P1Y2D and PT1H2S are not in the grammar), weeks alone, no fractions.
func isDuration(s string) bool {
	rest, ok := strings.CutPrefix(s, "P")
	if !ok || rest == "" {
		return false
	}
	days, clock, hasTime := strings.Cut(rest, "T")
	if hasTime && !isUnits(clock, "HMS") {
		return false
	}
	if days == "" {
		return hasTime
	}
	return isUnits(days, "YMD") || !hasTime && isUnits(days, "W")
}

// isUnits reports whether s is one or more numbers with a unit each, whose units stand
// side by side in units.
func isUnits(s, units string) bool {
	var found strings.Builder
	for s != "" {
		end := 0
		for end < len(s) && isDigit(s[end]) {
			end++
		}
		if end == 0 || end == len(s) {
			return false
		}
		found.WriteByte(s[end])
		s = s[end+1:]
	}
	return found.Len() > 0 && strings.Contains(units, found.String())
}

// isPeriod follows RFC 3339 appendix A: two moments, or one and a duration.
func isPeriod(s string) bool {
	first, second, ok := strings.Cut(s, "/")
	return ok && (isDateTime(first) && (isDateTime(second) || isDuration(second)) || isDuration(first) && isDateTime(second))
}
