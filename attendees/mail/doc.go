// Package mail is what we write to people: letters in plain text with a small HTML
// twin, sent over SMTP by one Mailer.
//
// It keeps nothing and logs nothing; its errors name the server, never a person or a
// password.
package mail
