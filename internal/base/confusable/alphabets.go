package confusable

import "unicode"

// An alphabet lists the letters of one script that look like a letter of ASCII: words of a letter
// and what looks like it.
type alphabet struct {
	name   string
	script *unicode.RangeTable
	common bool // its letters stand beside ASCII ones in honest names, as in formulas
	looks  string
}

// alphabets are taken from Unicode's confusables.txt, version 13.0.0
// (https://www.unicode.org/Public/security/), cut down to single letters whose prototype is one of
// A to Z and a to z; where that file says "rn" it is m. NOTICE has the terms. Letters that are Latin
// themselves are left out but for those that no language spells its words with. They are written as
// escapes, so that this file is no finding of its own rule.
var alphabets = []alphabet{
	{"Ahom", unicode.Ahom, false, "m\U00011700 v\U00011706 w\U0001170a\U0001170e\U0001170f"},
	{"Arabic", unicode.Arabic, false, "l\u0627\ufe8d\ufe8e\U0001ee00\U0001ee80 o\u0647\u06be\u06c1\u06d5\ufba6\ufba7\ufba8\ufba9\ufbaa\ufbab\ufbac\ufbad\ufee9\ufeea\ufeeb\ufeec\U0001ee24\U0001ee64\U0001ee84"},
	{"Armenian", unicode.Armenian, false, "O\u0555 S\u054f U\u054d f\u0584 g\u0581 h\u0570 n\u0578\u057c o\u0585 q\u0563\u0566 u\u057d w\u0561"},
	{"Bamum", unicode.Bamum, false, "V\ua6df"},
	{"Canadian_Aboriginal", unicode.Canadian_Aboriginal, false, "A\u15c5 B\u15f7 D\u15de\u15ea F\u15b4 H\u157c J\u148d L\u14aa M\u15f0 P\u146d R\u1587 U\u144c V\u142f b\u1472\u15af d\u146f x\u1541\u157d"},
	{"Carian", unicode.Carian, false, "A\U000102a0 B\U000102a1 C\U000102a2 F\U000102a5 H\U000102cf M\U000102b0 O\U000102ab T\U000102b1 X\U000102b4 Y\U000102b2"},
	{"Cherokee", unicode.Cherokee, false, "A\u13aa B\u13f4 C\u13df D\u13a0 E\u13ac G\u13c0\u13f3 H\u13bb J\u13ab K\u13e6 L\u13de M\u13b7 P\u13e2 R\u13a1\u13d2 S\u13d5\u13da T\u13a2 V\u13d9 W\u13b3\u13d4 Y\u13a9\u13bd Z\u13c3 b\u13cf c\uabaf d\u13e7 h\u13c2 i\u13a5\uab75 r\uab81 s\uabaa v\uaba9 w\uab83 z\uab93"},
	{"Coptic", unicode.Coptic, false, "C\u2ca4 H\u2c8e K\u2c94 L\u2cd0 M\u2c98 N\u2c9a O\u2c9e P\u2ca2 T\u2ca6 X\u2cac Y\u2ca8 c\u2ca5 l\u2c92 o\u2c9f p\u2ca3 r\u2c85"},
	{"Cyrillic", unicode.Cyrillic, false, "A\u0410 B\u0412 C\u0421 E\u0415 G\u050c H\u041d J\u0408 K\u041a M\u041c O\u041e P\u0420 S\u0405 T\u0422 V\u0474 W\u051c X\u0425 Y\u0423\u04ae a\u0430 b\u042c c\u0441 d\u0501 e\u0435\u04bd h\u04bb i\u0456\u04cf\ua647 j\u0458 l\u0406\u04c0 o\u043e p\u0440 q\u051b r\u0433 s\u0455 v\u0475 w\u0461\u051d x\u0445 y\u0443\u04af"},
	{"Deseret", unicode.Deseret, false, "C\U00010415 L\U0001041b O\U00010404 S\U00010420 c\U0001043d o\U0001042c s\U00010448"},
	{"Elbasan", unicode.Elbasan, false, "C\U0001051c F\U00010525 K\U00010518 L\U00010526 N\U00010513 O\U00010516 V\U0001051d X\U00010527"},
	{"Ethiopic", unicode.Ethiopic, false, "O\u12d0 U\u1200"},
	{"Georgian", unicode.Georgian, false, "o\u10ff y\u10e7"},
	{"Greek", unicode.Greek, true, "A\u0391 B\u0392 C\u03f9 E\u0395 F\u03dc H\u0397 J\u037f K\u039a M\u039c\u03fa N\u039d O\u039f P\u03a1 T\u03a4 X\u03a7 Y\u03a5\u03d2 Z\u0396 a\u03b1 c\u03f2 i\u037a\u03b9\u1fbe j\u03f3 l\u0399 o\u03bf\u03c3 p\u03c1\u03f1 r\u1d26 u\u03c5 v\u03bd y\u03b3"},
	{"Hebrew", unicode.Hebrew, false, "l\u05d5\u05df o\u05e1 v\u05d8"},
	{"Lisu", unicode.Lisu, false, "A\ua4ee B\ua4d0 C\ua4da D\ua4d3 E\ua4f0 F\ua4dd G\ua4d6 H\ua4e7 J\ua4d9 K\ua4d7 L\ua4e1 M\ua4df N\ua4e0 O\ua4f3 P\ua4d1 R\ua4e3 S\ua4e2 T\ua4d4 U\ua4f4 V\ua4e6 W\ua4ea X\ua4eb Y\ua4ec Z\ua4dc d\ua4d2 l\ua4f2"},
	{"Lycian", unicode.Lycian, false, "B\U00010282 E\U00010286 F\U00010287 O\U00010292 P\U00010295 S\U00010296 T\U00010297 X\U00010290 l\U0001028a"},
	{"Malayalam", unicode.Malayalam, false, "o\u0d20"},
	{"Miao", unicode.Miao, false, "A\U00016f40 L\U00016f16 R\U00016f35 S\U00016f3a T\U00016f0a U\U00016f42 V\U00016f08 Y\U00016f43 l\U00016f28"},
	{"Myanmar", unicode.Myanmar, false, "o\u101d"},
	{"Nko", unicode.Nko, false, "l\u07ca"},
	{"Old_Italic", unicode.Old_Italic, false, "B\U00010301 C\U00010302 M\U00010311 T\U00010315 X\U00010317 l\U00010309"},
	{"Oriya", unicode.Oriya, false, "O\u0b20"},
	{"Osage", unicode.Osage, false, "O\U000104c2 R\U000104b4 U\U000104ce o\U000104ea u\U000104f6"},
	{"Runic", unicode.Runic, false, "K\u16d5 M\u16d6 X\u16b7 l\u16c1"},
	{"Tifinagh", unicode.Tifinagh, false, "E\u2d39 O\u2d54 Q\u2d55 V\u2d38 X\u2d5d l\u2d4f"},
	{"Warang_Citi", unicode.Warang_Citi, false, "E\U000118a6\U000118ae F\U000118a2\U000118c2 L\U000118a3\U000118b2 O\U000118b5 T\U000118bc U\U000118b8 V\U000118a0 Y\U000118a4 Z\U000118a9 i\U000118c3 o\U000118c8\U000118d7 s\U000118c1 u\U000118d8 v\U000118c0 y\U000118dc z\U000118c4"},
	{"Latin", unicode.Latin, true, "a\u0251\uff41 b\uff42 c\u217d\uff43 d\u217e\uff44 e\uff45 f\uff46 g\u0261\uff47 h\uff48 i\u2170\uff49 j\uff4a k\uff4b l\u217c\uff4c m\u217f\uff4d n\uff4e o\uff4f p\uff50 q\uff51 r\uff52 s\uff53 t\uff54 u\uff55 v\u2174\uff56 w\uff57 x\u2179\uff58 y\uff59 z\uff5a A\uff21 B\uff22 C\u216d\uff23 D\u216e\uff24 E\uff25 F\uff26 G\uff27 H\uff28 J\uff2a K\uff2b L\u216c\uff2c M\u216f\uff2d N\uff2e O\uff2f P\uff30 Q\uff31 R\uff32 S\uff33 T\uff34 U\uff35 V\u2164\uff36 W\uff37 X\u2169\uff38 Y\uff39 Z\uff3a l\u2160\uff29"},
}
