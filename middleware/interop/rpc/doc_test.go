// Package rpc_test tests the doors for gRPC and Connect with clients that others wrote. The
// programs in testdata need node and npm.
package rpc_test
