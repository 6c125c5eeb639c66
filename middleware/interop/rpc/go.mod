module github.com/keyrate/keyrate/middleware/interop/rpc

go 1.26.0

require (
	connectrpc.com/connect v1.21.1
	github.com/grpc-ecosystem/go-grpc-middleware/v2 v2.3.4
	github.com/keyrate/keyrate v0.0.0
	github.com/keyrate/keyrate/middleware/connectlimit v0.0.0
	github.com/keyrate/keyrate/middleware/grpclimit v0.0.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c // indirect
)

replace (
	github.com/keyrate/keyrate => ../../..
	github.com/keyrate/keyrate/middleware/connectlimit => ../../connectlimit
	github.com/keyrate/keyrate/middleware/grpclimit => ../../grpclimit
)
