package replay

import (
	"time"
)

// lastInstant is the end of the year 9999, in microseconds since 1970.
const lastInstant = 253_402_300_800_000_000 - 1

// instant reads a time as Config.Time says, in microseconds since 1970, cut off.
func instant(b []byte) (micros int64, ok bool) {
	switch {
	case len(b) > 2 && b[2] == '/':
		micros, ok = commonInstant(b)
	case len(b) > 4 && b[4] == '-':
		micros, ok = isoInstant(string(b))
	default:
		micros, ok = epochInstant(b)
	}
	return micros, ok && micros >= 0 && micros <= lastInstant
}

// commonLayout is the time of the Common format.
const commonLayout = "02/Jan/2006:15:04:05 -0700"

// commonInstant reads commonLayout as time.Parse does, but faster, and the 60th second of a leap second.
func commonInstant(b []byte) (int64, bool) {
	if len(b) != len(commonLayout) || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return 0, false
	}
	month := monthOf([3]byte(b[3:6]))
	day, ok1 := twoDigits(b[0:])
	century, ok2 := twoDigits(b[7:])
	year, ok3 := twoDigits(b[9:])
	hour, ok4 := twoDigits(b[12:])
	minute, ok5 := twoDigits(b[15:])
	second, ok6 := twoDigits(b[18:])
	zoneHour, ok7 := twoDigits(b[22:])
	zoneMinute, ok8 := twoDigits(b[24:])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && ok8) || month == 0 || hour > 23 || minute > 59 || second > 60 || zoneHour > 24 || zoneMinute > 60 {
		return 0, false
	}
	year += 100 * century
	if day == 0 || day > daysIn(year, month) {
		return 0, false
	}
	zone := zoneHour*3600 + zoneMinute*60
	switch b[21] {
	case '+':
	case '-':
		zone = -zone
	default:
		return 0, false
	}
	seconds := int64(daysBefore(year, month)+day-1)*86_400 + int64(hour*3600+minute*60+second-zone)
	return seconds * 1e6, true
}

func twoDigits(b []byte) (int, bool) {
	tens, ones := b[0]-'0', b[1]-'0'
	return int(tens)*10 + int(ones), tens < 10 && ones < 10
}

// monthOf returns 1 to 12 for the name of a month, or 0.
func monthOf(name [3]byte) int {
	for i, m := range [12][3]byte{
		{'J', 'a', 'n'}, {'F', 'e', 'b'}, {'M', 'a', 'r'}, {'A', 'p', 'r'}, {'M', 'a', 'y'}, {'J', 'u', 'n'},
		{'J', 'u', 'l'}, {'A', 'u', 'g'}, {'S', 'e', 'p'}, {'O', 'c', 't'}, {'N', 'o', 'v'}, {'D', 'e', 'c'},
	} {
		if m == name {
			return i + 1
		}
	}
	return 0
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysBefore returns the days from 1970 to the beginning of a month, in a calendar whose years
// begin in March so that the leap day is their last.
func daysBefore(year, month int) int {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	const before1970 = 719_468 // the days from 1 March of the year 0
	return 365*year + year/4 - year/100 + year/400 + (153*month+2)/5 - before1970
}

// isoInstant reads RFC 3339, also with a space in place of the T and without a zone.
func isoInstant(s string) (int64, bool) {
	const plain = "2006-01-02T15:04:05"
	if len(s) < len(plain) {
		return 0, false
	}
	if s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(plain, s)
	}
	if err != nil || t.Year() > 9999 { // UnixMicro would overflow later
		return 0, false
	}
	return t.UnixMicro(), true
}

// epochInstant reads a number since 1970, whose size shows its unit.
func epochInstant(b []byte) (int64, bool) {
	whole, at := uint64(0), 0
	for ; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
		if at == 19 { // digits fit
			return 0, false
		}
		whole = whole*10 + uint64(b[at]-'0')
	}
	if at == 0 {
		return 0, false
	}
	var perUnit uint64 // microseconds
	switch {
	case whole < 1e11:
		perUnit = 1e6
	case whole < 1e14:
		perUnit = 1e3
	case whole < 1e17:
		perUnit = 1
	default:
		return int64(whole / 1000), at == len(b)
	}
	micros := whole * perUnit
	if at < len(b) && b[at] == '.' {
		for at++; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
			perUnit /= 10
			micros += uint64(b[at]-'0') * perUnit
		}
	}
	return int64(micros), at == len(b)
}
