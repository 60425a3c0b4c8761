// Package rights is what people may ask for of what is held of them, Art. 15 to 21 of the
// GDPR, and how the organisation answers: until when (deadline.go), in which words
// (words.go and words/), and by which deeds (desk.go).
//
// What no human judgement is needed for is done at once; the rest waits for staff, with its
// deadline in view. Nothing here opens what belongs to another address, and no answer goes
// to one that was not proved.
//
// Start at Desk in desk.go.
package rights
