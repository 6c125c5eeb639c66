// Makes calls one after the other with @connectrpc/connect-node, waits as each denial asks, and prints how many were served.
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";

const [url, key, calls, protocol] = process.argv.slice(2);
const file = create(FileDescriptorProtoSchema, {
	name: "test.proto", package: "keyrate.test", syntax: "proto3", dependency: ["google/protobuf/wrappers.proto"],
	service: [{
		name: "Service",
		method: [{ name: "Get", inputType: ".google.protobuf.StringValue", outputType: ".google.protobuf.StringValue" }],
	}],
});
const service = createFileRegistry(file, () => file_google_protobuf_wrappers.proto).getService("keyrate.test.Service");
const transports = { connect: createConnectTransport, grpc: createGrpcTransport, grpcweb: createGrpcWebTransport };
const client = createClient(service, transports[protocol]({ baseUrl: url, httpVersion: protocol === "grpc" ? "2" : "1.1" }));

const result = { Finished: 0, Denied: 0, Error: "" };
try {
	while (result.Finished < Number(calls)) {
		try {
			const answer = await client.get({ value: "hello" }, { headers: { "x-api-key": key } });
			if (answer.value !== "hello") {
				throw new Error(`the answer is ${answer.value}`);
			}
			result.Finished++;
		} catch (err) {
			const wait = err instanceof ConnectError && err.code === Code.ResourceExhausted && err.metadata.get("retry-after-ms");
			if (!wait) {
				throw err;
			}
			result.Denied++;
			await new Promise((resolve) => setTimeout(resolve, Number(wait)));
		}
	}
} catch (err) {
	result.Error = String(err);
}
console.log(JSON.stringify(result));
process.exit(0); // a session of HTTP/2 stays open
