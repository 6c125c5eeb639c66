package connectlimit

import (
	"errors"
	"maps"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
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
	if d.Wait > 0 {
		if detail, fault := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(d.Wait)}); fault == nil {
			err.AddDetail(detail)
		}
	}
	if detail, ok := d.Violations.(*connect.ErrorDetail); ok {
		err.AddDetail(detail)
	}
	return err
}

// quotaFailure returns the detail of an error with the limits that deny a call.
func quotaFailure(violations []rpc.Violation) any {
	quota := &errdetails.QuotaFailure{}
	for _, v := range violations {
		quota.Violations = append(quota.Violations, &errdetails.QuotaFailure_Violation{
			Subject: v.Limit, QuotaId: v.Limit, QuotaValue: int64(v.Quota), Description: v.Description,
		})
	}
	detail, err := connect.NewErrorDetail(quota)
	if err != nil { // a name that is no UTF-8, which no limit has
		return nil
	}
	return detail
}
