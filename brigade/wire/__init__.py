"""What passes between simulator and learners: messages (pure) and their transport (ZeroMQ)."""
