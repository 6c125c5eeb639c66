package ratelimit

// Shadow tells whether l only watches: Config.Shadow. It is for those who answer
// a call without asking for a decision, and must not do so in shadow mode.
func (l *Limiter) Shadow() bool { return l.shadow }
