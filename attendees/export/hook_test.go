package export

// BeforeReceipt is the store, that does something once before it keeps a receipt.
func BeforeReceipt(s *Store, do func()) *Store {
	hooked := *s
	hooked.beforeReceipt = do
	return &hooked
}
