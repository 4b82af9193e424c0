package escape

func supervise(string) int { return 64 }
