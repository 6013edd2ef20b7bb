"""The crm story: seeded data, a mail sink and a stand-in model."""
