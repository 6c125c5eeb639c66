package redisstore

import (
	"strings"
	"testing"
)

// TestSecretIsSecret: a secret that can be tried out is rejected, and not shown.
func TestSecretIsSecret(t *testing.T) {
	client := patient(t, "127.0.0.1:1")
	for _, secret := range []string{"x", "hunter2", "fifteen bytes ;", strings.Repeat("z", minSecret-1)} {
		_, err := New(client, Config{Secret: []byte(secret)})
		if err == nil || !strings.Contains(err.Error(), "Config.Secret") || !strings.Contains(err.Error(), "at least 16") || strings.Contains(err.Error(), secret) && secret != "x" {
			t.Errorf("a secret of %d bytes: %v", len(secret), err)
		}
	}
	for _, secret := range [][]byte{nil, {}, []byte(strings.Repeat("z", minSecret)), make([]byte, 64)} {
		if _, err := New(client, Config{Secret: secret}); err != nil {
			t.Errorf("a secret of %d bytes: %v", len(secret), err)
		}
	}
}
