package conformance

import (
	"encoding/json"
	"fmt"
	"strings"
)

// expand replaces @REPEAT@ and @JOIN@ by the texts that they stand for.
func expand(tree any) (any, error) {
	switch v := tree.(type) {
	case object:
		for _, m := range v {
			switch m.name {
			case "@REPEAT@":
				return expandRepeat(m.value)
			case "@JOIN@":
				return expandJoin(m.value)
			}
		}
		out := make(object, len(v))
		for i, m := range v {
			value, err := expand(m.value)
			if err != nil {
				return nil, err
			}
			out[i] = member{m.name, value}
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			value, err := expand(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = value
		}
		return out, nil
	}
	return tree, nil
}

func expandRepeat(value any) (any, error) {
	array, ok := value.([]any)
	if ok && len(array) == 2 {
		text, isText := array[0].(string)
		number, isNumber := array[1].(json.Number)
		if isText && isNumber {
			count, err := number.Int64()
			if err == nil && count >= 0 {
				return strings.Repeat(text, int(count)), nil
			}
		}
	}
	return nil, fmt.Errorf("@REPEAT@ wants a text and a number, not %s", show(value))
}

func expandJoin(value any) (any, error) {
	expanded, err := expand(value)
	if err != nil {
		return nil, err
	}
	array, ok := expanded.([]any)
	if !ok {
		return nil, fmt.Errorf("@JOIN@ wants an array, not %s", show(value))
	}
	var b strings.Builder
	for _, part := range array {
		text, ok := part.(string)
		if !ok {
			return nil, fmt.Errorf("@JOIN@ wants texts, not %s", show(part))
		}
		b.WriteString(text)
	}
	return b.String(), nil
}
