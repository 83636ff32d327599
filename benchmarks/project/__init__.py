"""The site of Livebell under test: as deployed, with nothing that the documentation doesn't tell."""
