from django import forms

LEVELS = [("info", "Info"), ("success", "Success"), ("warning", "Warning"), ("error", "Error")]
AUDIENCES = [("self", "Myself"), ("other", "The other"), ("team", "The group “team”"), ("everyone", "Everybody")]


class SendForm(forms.Form):
    to = forms.ChoiceField(choices=AUDIENCES)
    title = forms.CharField(max_length=200)
    body = forms.CharField(required=False)
    url = forms.CharField(required=False)
    level = forms.ChoiceField(choices=LEVELS)
    count = forms.IntegerField(min_value=1, max_value=100)
