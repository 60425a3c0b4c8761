package eventbritetest

// Invented people: any likeness is the word lists' doing. Addresses are of the domains
// that RFC 2606 keeps for examples.
var (
	firstNames = []string{
		"Zoë", "Øyvind", "Amara", "Björn", "Chidi", "Dilnoza", "Émile", "Fatima", "Gísli", "Hana",
		"İpek", "João", "Kwame", "Łucja", "Mei", "Nguyệt", "Oisín", "Priya", "Quentin", "Róisín",
		"Søren", "Tomáš", "Ülo", "Vasilisa", "Wanjiru", "Xóchitl", "Yūki", "Žofia", "Ана", "Борис",
		"Ελένη", "美咲", "지우", "مريم", "נועה", "अनिका", "D'Arcy", "Anne-Marie", "J. R.", "Mary Lou",
	}
	lastNames = []string{
		"Abernathy", "Ångström", "Brânză", "Çelik", "Dvořák", "Eğilmez", "Fjeldsøe", "García Núñez", "Håkonsen", "Iwata",
		"Jabłoński", "Kovács", "L'Estrange", "Müller-Lüdenscheidt", "Ní Bhriain", "O'Toole", "Pérez", "Quispe", "Rößler", "Szabó",
		"Tañada", "Uzun", "van der Meer", "Wójcik", "Xu", "Yıldız", "Ziółkowska", "Петрова", "Παππάς", "田中",
		"김", "الهاشمي", "כהן", "शर्मा", "Okonkwo", "Smith \"Smitty\"", "de la Cruz", "St. Clair", "McAdam & Sons", "Ó Sé",
	}
	mailboxes = []string{"zoe", "oyvind", "amara", "B.Jorn", "chidi+lists", "dilnoza", "emile_", "fatima", "gisli", "hana-h"}
	tlds      = []string{"org", "com", "net"}
	tickets   = []string{"General Admission", "Early Bird", "Member", "Gratis – Künstler:in"}
	guilds    = []string{"Clockmakers' Guild", "Weavers of Brno", "Sociedade dos Faróis", "独立", "Harbour Choir"}
)
