package usage

// A target is what the value of a member of an object is to a scanner: an object to enter, a
// number to keep, or the kind of the event. The zero target is none of them.
type target struct {
	object object
	field  field
	kind   bool
}

// A kind is what an event means for the counts.
type kind uint8

const (
	otherKind   kind = iota
	responseEnd      // OpenAI, responses: its response has the counts of the end
	messageEnd       // Anthropic: the counts of the end have come before
)

func kindOf(name string) kind {
	switch name {
	case "response.completed", "response.incomplete", "response.failed":
		return responseEnd
	case "message_stop":
		return messageEnd
	}
	return otherKind
}

// An object is an object that can be on the way to a number.
type object uint8

const (
	noObject object = iota
	document        // a whole body, or the data of an event
	message         // message_start of Anthropic and response.completed of OpenAI nest it in an event
	usageObject
	details
)

// member returns what the member of o with this name is.
func (o object) member(name string, event bool) target {
	switch {
	case o == usageObject:
		return usageMembers(name)
	case o == details && name == "cached_tokens":
		return target{field: cachedTokens}
	case o == details && name == "cache_write_tokens":
		return target{field: cacheWriteTokens}
	case o == document && event && (name == "message" || name == "response"):
		return target{object: message}
	case o == document && event && name == "type":
		return target{kind: true}
	case o != details && name == "usage":
		return target{object: usageObject}
	}
	return target{}
}

func usageMembers(name string) target {
	switch name {
	case "prompt_tokens":
		return target{field: promptTokens}
	case "completion_tokens":
		return target{field: completionTokens}
	case "total_tokens":
		return target{field: totalTokens}
	case "input_tokens":
		return target{field: inputTokens}
	case "output_tokens":
		return target{field: outputTokens}
	case "cache_read_input_tokens":
		return target{field: cacheReadInput}
	case "cache_creation_input_tokens":
		return target{field: cacheCreationInput}
	case "prompt_tokens_details", "input_tokens_details":
		return target{object: details}
	}
	return target{}
}
