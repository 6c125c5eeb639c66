package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// fly makes one trip with calls, and decides or fails each of them.
func (s *Store) fly(ctx context.Context, calls []*call) {
	if err := s.reaches(ctx); err != nil {
		for _, c := range calls {
			c.fail(err)
		}
		return
	}
	if len(calls) == 1 || s.oneServer && !s.slots.split.Load() {
		s.flyOne(ctx, pack(calls))
		return
	}
	s.flyMany(ctx, byKey(calls))
}

// flyOne makes a flight with one script call, or with several if it turns out that
// one cannot have the keys of all: then nothing was executed.
func (s *Store) flyOne(ctx context.Context, f flight) {
	cmd, err := s.run(ctx, takeScript, f.keys, f.args)
	if s.oneServer && len(f.calls) > 1 && isCrossSlot(err) {
		s.slots.split.Store(true)
		s.flyMany(ctx, byKey(f.calls))
		return
	}
	s.conclude(f, cmd, err)
}

// run calls a script, and once more where that is safe and may help.
func (s *Store) run(ctx context.Context, script script, keys, args []any) (command, error) {
	cmd := script.byHash(ctx, keys, args)
	err := s.client.Process(ctx, cmd)
	if isMissing(err) {
		cmd = script.inFull(ctx, keys, args)
		err = s.client.Process(ctx, cmd)
	}
	if s.again(ctx, err) {
		cmd = script.inFull(ctx, keys, args)
		err = s.client.Process(ctx, cmd)
	}
	return cmd, err
}

// flyMany makes several script calls, of keys that may be in different slots, in
// one pipeline. Each has its own error, and alone is sent once more if that is safe.
func (s *Store) flyMany(ctx context.Context, flights []flight) {
	cmds := make([]command, len(flights))
	pipe := s.client.Pipeline()
	for i, f := range flights {
		cmds[i] = takeScript.byHash(ctx, f.keys, f.args)
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for i, f := range flights {
		if err := cmds[i].Err(); isMissing(err) || s.again(ctx, err) {
			cmds[i] = takeScript.inFull(ctx, f.keys, f.args)
			_ = pipe.Process(ctx, cmds[i])
		}
	}
	_, _ = pipe.Exec(ctx) // of none is nothing
	for i, f := range flights {
		s.conclude(f, cmds[i], cmds[i].Err())
	}
}

// byKey sorts calls into flights, one for each API key and policy: in a Cluster, only
// the buckets of a key are certain to be in one slot; and while a slot moves, Redis
// asks for all keys of a script call to be in one place, so a call must not depend on
// the buckets of another.
func byKey(calls []*call) []flight {
	type group struct {
		tag    string
		policy *ratelimit.Policy
	}
	groups := make(map[group][]*call, len(calls))
	var order []group
	for _, c := range calls {
		g := group{c.tag, c.request.Policy}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], c)
	}
	flights := make([]flight, len(order))
	for i, g := range order {
		flights[i] = pack(groups[g])
	}
	return flights
}

// conclude gives the calls of a flight their outcomes.
func (s *Store) conclude(f flight, cmd command, err error) {
	var decisions []ratelimit.Decision
	var foreign int64
	if err == nil {
		decisions, foreign, err = f.unpack(cmd.Val())
	}
	if err != nil {
		s.failed(err)
		s.learn(f, err)
		err = failure(s.explain(err))
		for _, c := range f.calls {
			c.fail(err)
		}
		return
	}
	for i, c := range f.calls {
		c.decide(decisions[i])
	}
	if foreign > 0 {
		s.foreign.Add(foreign)
		s.tell(foreign)
	}
}

// tell lets Config.OnForeign know.
func (s *Store) tell(foreign int64) {
	if s.onForeign == nil {
		return
	}
	defer func() { _ = recover() }() // the decisions stand
	s.onForeign(int(foreign))
}

// again tells whether to send once more what failed: only if it is certain that
// nothing was executed, and another server may be the right one by now.
func (s *Store) again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	class, notExecuted := classify(err)
	if !notExecuted || class != ClassCluster && class != ClassReadOnly || isCrossSlot(err) || s.oneServer && isElsewhere(err) {
		return false
	}
	s.failed(err)
	return true
}

// reloadEvery is how often, at most, the topology of a Cluster is asked for after
// failures. By itself the client asks once a minute, and not when a connection is
// refused: a third of all keys then failed for a minute, though Redis had failed
// over within seconds.
const reloadEvery = 250 * time.Millisecond

// failed has the client look at the topology again, if it may have changed.
func (s *Store) failed(err error) {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return
	}
	switch class, _ := classify(err); class {
	case ClassConnect, ClassLost, ratelimit.ClassTimeout, ClassCluster, ClassReadOnly:
	default:
		return
	}
	now, last := time.Now().UnixNano(), s.reloaded.Load()
	if now-last >= int64(reloadEvery) && s.reloaded.CompareAndSwap(last, now) {
		cluster.ReloadState(context.Background()) // starts a goroutine of the client's
	}
}
