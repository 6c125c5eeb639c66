package otel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateotel "github.com/keyrate/keyrate/ratelimit/metrics/otel"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func newLimiter(t testing.TB, s store.Store, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(s, ratelimit.PerSecond(5), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// collected returns what a reader collects, by name and attributes.
func collected(t *testing.T, reader sdkmetric.Reader) map[string]metrics.Point {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	points := make(map[string]metrics.Point)
	add := func(name string, set attribute.Set, value float64, buckets []uint64) {
		points[fmt.Sprint(name, set.ToSlice())] = metrics.Point{Value: value, Buckets: buckets}
	}
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name != keyrateotel.Scope {
			t.Errorf("scope %q", scope.Scope.Name)
		}
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value), nil)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value), nil)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value, nil)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Sum, p.BucketCounts)
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return points
}

// TestRegister: the SDK collects each number that the sources show.
func TestRegister(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	l := newLimiter(t, memstore.New(memstore.Config{}), ratelimit.Config{Metrics: true})
	registration, err := keyrateotel.Register(keyrateotel.Config{Provider: provider, Attributes: []attribute.KeyValue{attribute.String("api", "one")}}, l)
	if err != nil {
		t.Fatal(err)
	}
	for range 7000 {
		if _, err := l.AllowN(t.Context(), "key", 2); err != nil {
			t.Fatal(err)
		}
	}
	l.Ended(metrics.NoKey)
	got, r, n := collected(t, reader), metrics.Read(l), 0
	for _, i := range metrics.Instruments() {
		for _, p := range r.Points(i) {
			attributes := []attribute.KeyValue{attribute.String("api", "one")}
			for k, name := range i.Labels {
				attributes = append(attributes, attribute.String(name, p.Labels[k]))
			}
			set := attribute.NewSet(attributes...)
			id := fmt.Sprint(i.Name, set.ToSlice())
			if q := got[id]; q.Value-p.Value > 1e-6 || p.Value-q.Value > 1e-6 || !slices.Equal(q.Buckets, p.Buckets) {
				t.Errorf("%s: %v; want %v", id, q, p)
			}
			n++
		}
	}
	if n != len(got) || n < 8 {
		t.Errorf("%d points; want %d: %v", len(got), n, got)
	}
	if err := registration.Unregister(); err != nil {
		t.Error(err)
	}
}

// TestRegisterWithoutSDK: without one, the global provider takes it all and does nothing.
func TestRegisterWithoutSDK(t *testing.T) {
	l := newLimiter(t, memstore.New(memstore.Config{}), ratelimit.Config{Metrics: true})
	if _, err := keyrateotel.Register(keyrateotel.Config{}, l); err != nil {
		t.Error(err)
	}
	for range 200 {
		_, _ = l.Allow(t.Context(), "key")
	}
}

type failing struct{ store.Store }

func (failing) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errors.New("down")
}

// TestSpan: the span of a call says what was decided about it.
func TestSpan(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	memory := newLimiter(t, memstore.New(memstore.Config{}), ratelimit.Config{Observe: keyrateotel.Span})
	down := newLimiter(t, failing{}, ratelimit.Config{Observe: keyrateotel.Span})
	exempt, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.Unlimited, ratelimit.Config{Observe: keyrateotel.Span})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		limiter *ratelimit.Limiter
		cost    int
		want    []attribute.KeyValue
	}{
		{memory, 3, []attribute.KeyValue{keyrateotel.OutcomeKey.String("allowed"), keyrateotel.LimitKey.String("default"), keyrateotel.RemainingKey.Int(2), keyrateotel.SourceKey.String("store")}},
		{memory, 4, []attribute.KeyValue{keyrateotel.OutcomeKey.String("denied"), keyrateotel.LimitKey.String("default"), keyrateotel.RemainingKey.Int(2), keyrateotel.SourceKey.String("store")}},
		{down, 1, []attribute.KeyValue{keyrateotel.OutcomeKey.String("undecided"), keyrateotel.ErrorTypeKey.String("other")}},
		{exempt, 1, []attribute.KeyValue{keyrateotel.OutcomeKey.String("exempt")}},
	} {
		ctx, span := tracer.Start(t.Context(), "call")
		_, _ = test.limiter.AllowN(ctx, "key", test.cost)
		span.End()
		ended := recorder.Ended()
		if got := ended[len(ended)-1].Attributes(); !slices.Equal(got, test.want) {
			t.Errorf("%v; want %v", got, test.want)
		}
	}
	_, _ = memory.Allow(t.Context(), "key") // without a span
}
