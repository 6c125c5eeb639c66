package pace

import "time"

// A share is the part of a limit that one process may use, when others use the same
// key: nobody tells how many they are. It becomes smaller with each refusal, which
// are none of one's own doing if one keeps to the limit, and larger again with time
// (additive increase, multiplicative decrease: Chiu and Jain, 1989).
type share struct {
	less float64   // 1 less the share, so that the zero value is all of it
	cut  time.Time // when it became smaller
	at   time.Time // when it was set last
}

const (
	shareCut    = 0.7  // what is left of a share after a refusal
	shareGrowth = 0.01 // by how much of the limit a share grows in a second
	shareLeast  = 0.05
)

func (s *share) of() float64 { return 1 - s.less }

// read takes a response into account. Requests that were under way at the last
// refusal may be refused as well, which says nothing new; and so says the refusal
// of somebody who knew no limit.
func (s *share) read(r reading, knew bool) {
	if r.refused {
		if knew && r.sent.After(s.cut) {
			s.less = 1 - max(s.of()*shareCut, shareLeast)
			s.cut = r.now
		}
	} else if s.less > 0 {
		s.less = max(s.less-shareGrowth*min(r.now.Sub(s.at).Seconds(), 60), 0)
	}
	s.at = r.now
}
