module github.com/keyrate/keyrate/ratelimit/plans/file

go 1.26.0

replace github.com/keyrate/keyrate => ../../..

require (
	github.com/fsnotify/fsnotify v1.10.1
	github.com/keyrate/keyrate v0.0.0-00010101000000-000000000000
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3
	go.yaml.in/yaml/v4 v4.0.0
)

require (
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.14.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
