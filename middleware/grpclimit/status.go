package grpclimit

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// deny returns the trailer and the status of a call that is not served.
func deny(d *rpc.Denial) (metadata.MD, error) {
	trailer := metadata.MD(d.Headers)
	if d.Pushback != "" { // then there are headers, too
		trailer["grpc-retry-pushback-ms"] = []string{d.Pushback}
	}
	var details []protoadapt.MessageV1
	if d.Wait > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.Wait)})
	}
	if len(d.Violations) > 0 {
		quota := &errdetails.QuotaFailure{}
		for _, v := range d.Violations {
			quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{
				Subject: v.Limit, QuotaId: v.Limit, QuotaValue: int64(v.Quota), Description: v.Description,
			})
		}
		details = append(details, quota)
	}
	s := status.New(codes.Code(d.Code), d.Message)
	if with, err := s.WithDetails(details...); err == nil {
		s = with
	}
	return trailer, s.Err()
}
