package connectlimit

import (
	"errors"
	"maps"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// deny sets the headers of a call that is not served, and returns its error.
func deny(d *rpc.Denial, protocol string, header, trailer http.Header) *connect.Error {
	maps.Copy(header, d.Headers)
	if d.Pushback != "" && protocol != connect.ProtocolConnect {
		trailer[rpc.Pushback] = []string{d.Pushback}
	}
	err := connect.NewError(connect.Code(d.Code), errors.New(d.Message))
	add := func(m proto.Message) {
		if detail, fault := connect.NewErrorDetail(m); fault == nil {
			err.AddDetail(detail)
		}
	}
	if d.Wait > 0 {
		add(&errdetails.RetryInfo{RetryDelay: durationpb.New(d.Wait)})
	}
	if len(d.Violations) > 0 {
		quota := &errdetails.QuotaFailure{}
		for _, v := range d.Violations {
			quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{
				Subject: v.Limit, QuotaId: v.Limit, QuotaValue: int64(v.Quota), Description: v.Description,
			})
		}
		add(quota)
	}
	return err
}
