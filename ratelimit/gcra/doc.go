// Package gcra is the arithmetic of a token bucket, and nothing else: pure functions
// on values, exact, in integers.
//
// A bucket is one number, its theoretical arrival time (TAT): the instant at which it
// will be full again. That is the generic cell rate algorithm, GCRA (ITU-T I.371,
// annex A, as virtual scheduling). With T = Period/Rate, the time in which one token
// comes back:
//
//	debt       = max(0, TAT - now)
//	admit n    when debt + n*T <= Burst*T; then TAT = max(TAT, now) + n*T
//	remaining  = floor((Burst*T - debt) / T)
//	reset in   debt
//	retry in   debt + n*T - Burst*T
//
// T need not be a whole number of microseconds: for 3 per second it is 333333 1/3. So a
// time is a whole number of microseconds and a fraction whose denominator is the rate's
// own, Rate reduced against Period.
//
// A store decides one call in these steps, which stand in the documents of the methods
// of [Rate]:
//
//	debt, clamped := r.DebtAt(tat, now)        // what the bucket owes
//	debt = r.Merge(debt, known, seen, now)     // or what the caller knows it to owe
//	cost, ok := r.Cost(n)                      // what the call costs
//	after := r.Add(debt, cost)
//	if ok && r.Fits(after) {                   // admitted
//		tat = r.TATAt(after, now)
//	}
package gcra
