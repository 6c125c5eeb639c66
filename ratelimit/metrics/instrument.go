package metrics

// A Kind is what an instrument does.
type Kind int

// The kinds.
const (
	Counter   Kind = iota // it only grows
	Gauge                 // it shows a state
	Histogram             // it counts measurements by their size
)

// An Instrument is one thing that is counted or measured. Do not change one.
type Instrument struct {
	Name   string // as in OpenTelemetry: "keyrate.checks"
	Unit   string // as in UCUM: "s", "1", "{token}"
	Help   string
	Kind   Kind
	Labels []string  // the names of the labels, as in OpenTelemetry
	Bounds []float64 // of a Histogram: the upper bounds of its buckets but the last, inclusive
}

// MaxLimits is how many names of limits have label sets of their own. Calls under further
// ones count under the name "other".
const MaxLimits = 100

// The instruments.
var (
	// Checks counts each call once, whatever became of it. The outcome is allowed, denied,
	// undecided_allowed or undecided_denied if the limiter could not decide, exempt, and, in a
	// middleware, skipped, no_key, ambiguous_key or blocked. A call that shadow mode
	// admits is allowed.
	Checks = &Instrument{Name: "keyrate.checks", Unit: "{call}", Kind: Counter, Labels: []string{"outcome"},
		Help: "Calls, by what became of them."}
	// Evaluations counts each limit of each call that was decided. The result is admitted,
	// denied, or would_deny under a limit that is only watched; the source is that of
	// [store.Source].
	Evaluations = &Instrument{Name: "keyrate.evaluations", Unit: "{evaluation}", Kind: Counter, Labels: []string{"limit", "result", "source"},
		Help: "Decisions of single limits, by their result and what they were based on."}
	// Cost counts the tokens that were charged. What is held is charged when it is settled;
	// the tokens of a hold that nothing ends are not counted.
	Cost = &Instrument{Name: "keyrate.cost", Unit: "{token}", Kind: Counter, Labels: []string{"limit"},
		Help: "Tokens that were charged."}
	// Utilization measures the debt of a bucket after a call, and what is held of it, as a part
	// of its capacity.
	Utilization = &Instrument{Name: "keyrate.utilization", Unit: "1", Kind: Histogram, Labels: []string{"limit"}, Bounds: []float64{0.25, 0.5, 0.75, 0.9, 1},
		Help: "How much of a bucket was used after a call; sampled."}
	// CheckDuration measures decisions. The outcome is allowed, denied, exempt or undecided.
	CheckDuration = &Instrument{Name: "keyrate.check.duration", Unit: "s", Kind: Histogram, Labels: []string{"outcome"},
		Bounds: []float64{1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 1},
		Help:   "How long decisions took; sampled."}
	// LimitTokens and LimitPeriod show a limit as it is configured: so many tokens in so many
	// seconds. The plan is "" for keys without one. A limit on concurrent calls has no period.
	LimitTokens = &Instrument{Name: "keyrate.limit.tokens", Unit: "{token}", Kind: Gauge, Labels: []string{"limit", "plan"},
		Help: "The tokens of a limit in its period, or the calls at a time."}
	LimitPeriod = &Instrument{Name: "keyrate.limit.period", Unit: "s", Kind: Gauge, Labels: []string{"limit", "plan"},
		Help: "The period of a limit."}
	// Holds shows what calls in progress of this process hold: tokens, or their number under a
	// limit on concurrent calls. The class is short before the first renewal, long after it.
	Holds = &Instrument{Name: "keyrate.holds", Unit: "{token}", Kind: Gauge, Labels: []string{"limit", "class"},
		Help: "Tokens that calls in progress hold."}
	// HoldsOldest shows how long the oldest of these calls has held something of a limit, to a
	// tenth of a second.
	HoldsOldest = &Instrument{Name: "keyrate.holds.oldest", Unit: "s", Kind: Gauge, Labels: []string{"limit"},
		Help: "The age of the oldest hold of a call in progress."}
	// StoreErrors counts the calls that could not be decided, by [store.ErrorClass]. A limiter
	// shows the classes of package store from the start; a store with further ones is a [Source]
	// that adds 0 to each.
	StoreErrors = &Instrument{Name: "keyrate.store.errors", Unit: "{error}", Kind: Counter, Labels: []string{"error.type"},
		Help: "Calls that could not be decided, by the class of the error."}
	// StoreAvailable shows whether a part of the store is asked: 1, or 0 while it is down.
	StoreAvailable = &Instrument{Name: "keyrate.store.available", Unit: "1", Kind: Gauge, Labels: []string{"part"},
		Help: "1 if the part of the store decides, 0 while it is down."}
	// Buckets and BucketsOverflow show what a store in memory keeps. Buckets above its bound
	// are shared: see package memstore.
	Buckets = &Instrument{Name: "keyrate.buckets", Unit: "{bucket}", Kind: Gauge, Labels: []string{"store"},
		Help: "Buckets that are kept in memory."}
	BucketsOverflow = &Instrument{Name: "keyrate.buckets.overflow", Unit: "{bucket}", Kind: Gauge, Labels: []string{"store"},
		Help: "Buckets in debt that keys share because the store is full."}
	// TableVersion counts the changes of a table of limits, and TableReloadFailures the
	// changes that were rejected. TableReloadSuccessful shows whether the last attempt to read
	// a file of limits succeeded, at first that of opening it.
	TableVersion = &Instrument{Name: "keyrate.table.version", Unit: "1", Kind: Gauge,
		Help: "How often the table of limits was replaced."}
	TableReloadFailures = &Instrument{Name: "keyrate.table.reload.failures", Unit: "{failure}", Kind: Counter,
		Help: "Changes of the table of limits that were rejected."}
	TableReloadSuccessful = &Instrument{Name: "keyrate.table.reload.successful", Unit: "1", Kind: Gauge,
		Help: "1 if the last attempt to read the file of limits succeeded, else 0."}
)

// Instruments returns all instruments.
func Instruments() []*Instrument {
	return []*Instrument{
		Checks, Evaluations, Cost, Utilization, CheckDuration, LimitTokens, LimitPeriod, Holds, HoldsOldest,
		StoreErrors, StoreAvailable, Buckets, BucketsOverflow, TableVersion, TableReloadFailures, TableReloadSuccessful,
	}
}
