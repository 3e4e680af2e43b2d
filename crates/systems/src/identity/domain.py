"""Fills a new domain with people and groups of a test. Arguments: sam.ldb, smb.conf."""

import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

database, config = sys.argv[1:]
lp = LoadParm()
lp.load(config)
sam = SamDB(url=database, session_info=system_session(), lp=lp)
base = sam.domain_dn()
PASSWORD = "Passw0rd.of.a.test"


def change(dn, **attributes):
    message = ldb.Message(ldb.Dn(sam, dn))
    for name, value in attributes.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    sam.modify(message)


def person(name, **attributes):
    sam.newuser(name, PASSWORD, givenname=name.capitalize(), surname="Example",
                mailaddress=f"{name}@example.org")
    if attributes:
        expression = f"(sAMAccountName={ldb.binary_encode(name)})"
        found = sam.search(base, scope=ldb.SCOPE_SUBTREE, expression=expression)
        change(str(found[0].dn), **attributes)


# So that a test can lock an account.
change(base, lockoutThreshold="3")
for name in ("service", "ann", "bob", "locked"):
    person(name)
person("disabled", userAccountControl="514")
person("expired", accountExpires="132000000000000000")
person("mustchange", pwdLastSet="0")
# An account whose other name is a third one's short name.
person("carol", userPrincipalName="carola@ad.example")
person("dave(x)", userPrincipalName="dave@ad.example")
for group in ("developers", "engineering", "company", "circle"):
    sam.newgroup(group)
sam.add_remove_group_members("developers", ["ann"])
sam.add_remove_group_members("engineering", ["developers"])
sam.add_remove_group_members("company", ["engineering", "bob"])
sam.add_remove_group_members("circle", ["company"])
sam.add_remove_group_members("developers", ["circle"])
