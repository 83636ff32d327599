"""The tutorial's pages don't matter here."""

urlpatterns: list[object] = []
