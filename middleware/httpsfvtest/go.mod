module github.com/keyrate/keyrate/middleware/httpsfvtest

go 1.26.0

require (
	github.com/dunglas/httpsfv v1.1.0
	github.com/keyrate/keyrate v0.0.0
)

require golang.org/x/time v0.16.0 // indirect

replace github.com/keyrate/keyrate => ../..
