module github.com/keyrate/keyrate/middleware/clientstest

go 1.26.0

require (
	github.com/hashicorp/go-retryablehttp v0.7.8
	github.com/keyrate/keyrate v0.0.0
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace github.com/keyrate/keyrate => ../..
