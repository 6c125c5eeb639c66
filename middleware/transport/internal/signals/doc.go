// Package signals reads the headers of a response: which limits of an API they report,
// and whether they deny the request.
package signals
