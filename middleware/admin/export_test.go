package admin

import "net/http"

// WithMaxTable changes how large a table may be.
func WithMaxTable(h http.Handler, n int64) { h.(*handler).maxTable = n } //nolint:errcheck // it is one
