// Makes calls one after the other with @grpc/grpc-js and a retry policy, and prints how many were served.
import grpc from "@grpc/grpc-js";

const [address, key, calls] = process.argv.slice(2);
const serviceConfig = JSON.stringify({
	methodConfig: [{
		name: [{}],
		retryPolicy: {
			maxAttempts: 5, initialBackoff: "60s", maxBackoff: "60s", backoffMultiplier: 1,
			retryableStatusCodes: ["RESOURCE_EXHAUSTED"],
		},
	}],
});
const client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.service_config": serviceConfig });
const same = (bytes) => bytes;
const hello = Buffer.from("\n\x05hello"); // a google.protobuf.StringValue

const metadata = new grpc.Metadata();
metadata.set("x-api-key", key);
const call = () => new Promise((resolve, reject) => {
	client.makeUnaryRequest("/keyrate.test.Service/Get", same, same, hello, metadata, (err, value) => err ? reject(err) : resolve(value));
});
const result = { Finished: 0, Error: "" };
try {
	for (; result.Finished < Number(calls); result.Finished++) {
		await call();
	}
} catch (err) {
	result.Error = String(err);
}
client.close();
console.log(JSON.stringify(result));
