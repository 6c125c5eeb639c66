package redisstore

import (
	"context"

	"github.com/keyrate/keyrate/store"
)

// send makes one round trip with calls, and decides or fails each of them.
func (s *Store) send(ctx context.Context, calls []*call) {
	if err := s.reaches(ctx); err != nil {
		for _, c := range calls {
			c.fail(err)
		}
		return
	}
	if len(calls) == 1 || s.oneServer && !s.slots.split.Load() {
		s.sendBatch(ctx, newBatch(calls))
		return
	}
	s.sendBatches(ctx, batchesByKey(calls))
}

// sendBatch sends one batch. If Redis rejects a script call with the keys of all, which
// executes nothing, it sends a batch for each API key.
func (s *Store) sendBatch(ctx context.Context, b batch) {
	cmd, err := s.run(ctx, takeScript, b.keys, b.args)
	if s.oneServer && len(b.calls) > 1 && isCrossSlot(err) {
		s.slots.split.Store(true)
		s.sendBatches(ctx, batchesByKey(b.calls))
		return
	}
	s.conclude(b, cmd, err)
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

// sendBatches sends batches whose keys may be in different slots, in one pipeline. Each
// batch has its own error, and is sent once more by itself if that is safe.
func (s *Store) sendBatches(ctx context.Context, batches []batch) {
	cmds := make([]command, len(batches))
	pipe := s.client.Pipeline()
	for i, b := range batches {
		cmds[i] = takeScript.byHash(ctx, b.keys, b.args)
		_ = pipe.Process(ctx, cmds[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for i, b := range batches {
		if err := cmds[i].Err(); isMissing(err) || s.again(ctx, err) {
			cmds[i] = takeScript.inFull(ctx, b.keys, b.args)
			_ = pipe.Process(ctx, cmds[i])
		}
	}
	_, _ = pipe.Exec(ctx) // without commands it sends nothing
	for i, b := range batches {
		s.conclude(b, cmds[i], cmds[i].Err())
	}
}

// again reports whether to send once more after err: only if certainly nothing was
// executed, and another server may be the right one by now.
func (s *Store) again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	class, notExecuted := classify(err)
	if !notExecuted || class != ClassCluster && class != ClassReadOnly || isCrossSlot(err) || s.oneServer && isElsewhere(err) {
		return false
	}
	s.servers.reload(err)
	return true
}

// conclude gives the calls of a batch their outcomes.
func (s *Store) conclude(b batch, cmd command, err error) {
	var foreign int64
	if err == nil {
		foreign, err = b.outcomes(cmd.Val())
	}
	if err != nil {
		s.servers.reload(err)
		s.learn(b, err)
		err = failure(s.explain(err))
		for _, c := range b.calls {
			c.fail(err)
		}
		return
	}
	for _, c := range b.parts {
		c.err = nil
	}
	if foreign > 0 {
		s.foreign.Add(foreign)
		s.reportForeign(foreign)
	}
}

// reportForeign calls Config.OnForeign. If it panics, the decisions stand.
func (s *Store) reportForeign(n int64) {
	if s.onForeign == nil {
		return
	}
	_ = store.Try(func() { s.onForeign(int(n)) })
}
