module github.com/keyrate/keyrate/ratelimit/limitsfile

go 1.26.0

replace github.com/keyrate/keyrate => ../..

require (
	github.com/keyrate/keyrate v0.0.0-00010101000000-000000000000
	go.yaml.in/yaml/v4 v4.0.0
)

require golang.org/x/time v0.16.0 // indirect
