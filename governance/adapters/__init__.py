"""Policy files: text to values that know their place, and back."""
