"""The simulator: who plays whom, what they play, what they remember, and who learns it."""
