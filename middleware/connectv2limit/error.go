package connectv2limit

import (
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/keyrate/keyrate/middleware/internal/rpc"
)

// deny sets the headers of a call that is not served, and returns its error.
func deny(d *rpc.Denial, protocol string, header, trailer *connect.Header) *connect.Error {
	set(header, d.Headers)
	if d.Pushback != "" && protocol != connect.ProtocolNameConnect {
		trailer.Set(rpc.Pushback, d.Pushback)
	}
	return errorOf(d)
}

func set(header *connect.Header, fields map[string][]string) {
	for name, values := range fields {
		header.SetValues(name, values)
	}
}

// errorOf returns the error of a call that is not served.
func errorOf(d *rpc.Denial) *connect.Error {
	err := connect.NewError(connect.Code(d.Code), d.Message)
	if d.Wait > 0 {
		if detail, fault := connectproto.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(d.Wait)}); fault == nil {
			err = err.WithDetail(detail)
		}
	}
	if detail, ok := d.Violations.(connect.ErrorDetail); ok {
		err = err.WithDetail(&detail)
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
	detail, err := connectproto.NewErrorDetail(quota)
	if err != nil { // a name that is no UTF-8, which no limit has
		return nil
	}
	return *detail
}
