module github.com/keyrate/keyrate/examples/perkey

go 1.26.0

replace (
	github.com/keyrate/keyrate => ../..
	github.com/keyrate/keyrate/ratelimit/plans/file => ../../ratelimit/plans/file
)

require (
	github.com/keyrate/keyrate v0.0.0-00010101000000-000000000000
	github.com/keyrate/keyrate/ratelimit/plans/file v0.0.0-00010101000000-000000000000
)

require (
	github.com/fsnotify/fsnotify v1.10.1 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)
