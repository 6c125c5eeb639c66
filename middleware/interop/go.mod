module github.com/keyrate/keyrate/middleware/interop

go 1.26.0

require (
	github.com/chromedp/chromedp v0.23.1
	github.com/dunglas/httpsfv v1.1.0
	github.com/go-resty/resty/v2 v2.17.2
	github.com/keyrate/keyrate v0.0.0
	github.com/rs/cors v1.11.1
)

require (
	github.com/chromedp/cdproto v0.160.1 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	golang.org/x/net v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/keyrate/keyrate => ../..
