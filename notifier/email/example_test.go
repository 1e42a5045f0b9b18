package email_test

import (
	"fmt"

	"nines/internal/secret"
	"nines/notifier/email"
)

func ExampleNew() {
	_, err := email.New(email.Config{
		Server: "smtp.example.com:587", Username: "nines", Password: secret.New("…"), From: "nines@example.com", TLS: "ssl",
	})
	fmt.Println(err)
	// Output:
	// "ssl" is not a kind of TLS; it is starttls, tls or none
}
