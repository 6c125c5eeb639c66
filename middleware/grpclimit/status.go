package grpclimit

import (
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// deny returns the trailer and the status of a call that is not served.
func deny(d *rpc.Denial) (metadata.MD, error) {
	trailer := metadata.MD(d.Headers)
	if d.Pushback != "" { // then there are headers, too
		trailer["grpc-retry-pushback-ms"] = []string{d.Pushback}
	}
	s, _ := statuses.Get().(*denied)
	defer statuses.Put(s)
	s.status.Code, s.status.Message, s.status.Details = int32(d.Code), d.Message, s.details[:0] //nolint:gosec // codes are small
	if d.Wait > 0 {
		s.retry.Value = appendRetryInfo(s.space[:0], d.Wait)
		s.status.Details = append(s.status.Details, &s.retry)
	}
	if quota, ok := d.Violations.(*anypb.Any); ok {
		s.status.Details = append(s.status.Details, quota)
	}
	return trailer, grpcstatus.ErrorProto(&s.status) // copies
}

// A denied is the status of a denial, until gRPC has copied it.
type denied struct {
	status  status.Status
	details [2]*anypb.Any
	retry   anypb.Any
	space   [32]byte // for the value of retry
}

var statuses = sync.Pool{New: func() any { return &denied{retry: anypb.Any{TypeUrl: retryInfoURL}} }}

var retryInfoURL = "type.googleapis.com/" + string((*errdetails.RetryInfo)(nil).ProtoReflect().Descriptor().FullName())

// appendRetryInfo appends an encoded RetryInfo, which takes a fifth of the time that proto.Marshal
// takes: a message with field 1, a Duration, which has seconds in field 1 and nanoseconds in 2.
func appendRetryInfo(b []byte, wait time.Duration) []byte {
	b = append(protowire.AppendTag(b, 1, protowire.BytesType), 0)
	begin := len(b)
	for field, n := range [...]time.Duration{1: wait / time.Second, 2: wait % time.Second} {
		if n > 0 {
			b = protowire.AppendTag(b, protowire.Number(field), protowire.VarintType) //nolint:gosec // 1 or 2
			b = protowire.AppendVarint(b, uint64(n))
		}
	}
	b[begin-1] = byte(len(b) - begin) // which takes one byte: the fields take 12 at most
	return b
}

// quotaFailure returns the detail of a status with the limits that deny a call.
func quotaFailure(violations []rpc.Violation) any {
	quota := &errdetails.QuotaFailure{}
	for _, v := range violations {
		quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{
			Subject: v.Limit, QuotaId: v.Limit, QuotaValue: int64(v.Quota), Description: v.Description,
		})
	}
	detail, err := anypb.New(quota)
	if err != nil { // a name that is no UTF-8, which no limit has
		return nil
	}
	return detail
}
