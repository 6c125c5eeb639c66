// Package replay shows what a limit would have done to the requests in a log, and which limit
// suits them.
//
//	reader, err := replay.NewReader(replay.Config{}) // Common, Combined or JSON lines
//	err = reader.Add("access.log", file)             // any number of files; gzip is recognised
//	log, err := reader.Log()
//	outcomes, err := log.Replay(ctx, ratelimit.PerSecond(5), ratelimit.PerMinute(100))
//	demands, err := log.Rates(time.Minute)
//	rate, ok := demands[0].Smallest(999)             // denies nothing to 99.9 % of keys
//
// [Log.Replay] decides each request at its own time with the arithmetic of package gcra, as a
// limiter on an exact store decides. [Log.Rates] and [Log.Bursts] compute what each key needs.
// [Log.Suggest] makes a table of limits that are watched before they are enforced.
//
// # Times
//
// Servers write a line when a request ends, so lines are out of order. All requests are held in
// memory, in 28 bytes each at most, and those of a key are put in order: no line comes too late, in
// whichever order files are added. Requests of one instant stay in the order of their lines.
//
// Times count in whole microseconds. Many logs have whole seconds only: then the requests of a
// second come at one instant. That is stricter than if they had come evenly, which Config.Spread
// assumes. Neither sees a burst across the boundary of two seconds, so such a log says little about
// a limit per second, and enough about a limit per minute.
//
// A log shows what clients did, not what they will do: one that is denied may retry or slow down.
//
// # Keys
//
// No result shows a key: [ratelimit.HashKey] stands for it. A broken line is shown with each letter
// and digit replaced.
package replay
