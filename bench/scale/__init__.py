"""How the gateway grows: what sessions weigh in the store, and what following the log costs."""
