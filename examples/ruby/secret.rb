# Uses a secret without showing it.
def handle(context, _payload)
  { passwordLength: context["secrets"]["password"].length }
end
