// Package file reads a [plans.Table] from a YAML or JSON file that the operator of an API
// edits, and replaces its content when the file changes.
//
//	# Limits of the API. In force once saved.
//	default: 5/s                # every key that is not named below
//	plans:
//	  gold:                     # a limit, a list of limits that hold together, or unlimited
//	    - 50/s
//	    - 100000/d;name=daily
//	  trial: 1/s, 1000/d;name=daily;enforce-from=2027-01-31
//	  staff: unlimited
//	  suspended: blocked
//	members:                    # keys that belong to a plan
//	  customer-17: gold
//	  sha256:86de594f7827c0bb6c7eb12b9785936d7d101c6b6143285da524a8654cae77ab: gold
//	keys:                       # keys with limits of their own
//	  customer-19: 7/s
//	  192.0.2.0/24: 20/s        # clients without a key, by their addresses
//	organisations:              # keys that share the limits with ;shared
//	  acme:
//	    limits: 100/s, 10000/m;name=org;shared    # or plan, with the name of one
//	    members: [customer-21, customer-22]
//	    keys:                   # keys with limits of their own
//	      customer-23: 10/s, 10000/m;name=org;shared
//	blocked:                    # keys that are stopped, whatever is said of them above
//	  customer-17: blocked;until=2026-12-04T18:00:00Z;reason=chargeback
//
// Only default is required. The texts of limits are those of [ratelimit.ParsePolicy] and [ratelimit.ParseBlock], a
// hashed key is that of [ratelimit.HashKey], and a file whose name ends in .json has the
// same shape in JSON. A key is the text as it is written: 12345, 1e3, true and null are
// keys of that many characters, in quotes or not. An address or a
// prefix, such as 192.0.2.0/24, stands for clients without a key: see [plans.TableConfig]. [Schema] is a JSON Schema of the format,
// for editors.
//
// Features of YAML that a list of limits does not need are rejected, so that a file means what
// it seems to mean: anchors, aliases, merge keys, tags, more than one document. Unknown fields
// and keys that are there twice are rejected, too. All faults of a file are reported at once,
// each as an [Error] with the line, what was found and what would be right.
//
// [Open] reads a file. [File.Watch] reads it again whenever it changes, [File.Reload] at once.
// While a file is missing or has a fault, the old limits stay in force.
//
// In a container, mount the folder of the file, not the file alone. A file that is mounted
// alone (docker run -v ./limits.yaml:/limits.yaml, a Kubernetes subPath) stays the old one
// when an editor or a deployment replaces it. Where the system shows that, as Linux does with
// a link count of 0, Status.Err and an [Event] report it and Reload fails.
package file
