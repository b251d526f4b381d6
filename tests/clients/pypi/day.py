"""A working day with the PyPI client atlassian-python-api: python day.py ROOT_URL TOKEN.

Ends with an error if anything is not as it should be.
"""

import sys

from atlassian.bitbucket import Cloud

root, token = sys.argv[1:]
cloud = Cloud(url=root, token=token, api_version="2.0", api_root="")
cloud_workspaces = cloud.workspaces

workspace = cloud_workspaces.get("home")
assert workspace.slug == "home" and workspace.uuid.startswith("{") and workspace.created_on, workspace

project = workspace.projects.create("Python", "PY", "a day", is_private=True)
assert workspace.projects.get("PY").description == "a day"
assert "PY" in [project.key for project in workspace.projects.each()]

repository = workspace.repositories.create("py-day", project_key="PY", is_private=True)
assert repository.get_data("full_name") == "home/py-day", repository
assert [found.slug for found in workspace.repositories.each(q='slug = "py-day"')] == ["py-day"]

repository.post("src", files={"a.txt": ("a.txt", "one")}, data={"message": "First"}, headers={"Accept": "*/*"})
repository.post("src", files={"bin/run": ("run", b"\x00\xff")}, data={"message": "Second"}, headers={"Accept": "*/*"})

commits = list(repository.commits.each())
assert [commit.message for commit in commits] == ["Second", "First"], commits
second, first = commits
assert repository.commits.get(first.hash).message == "First"
assert [build for build in second.statuses()] == []
second.add_build("ci", "https://ci.example.org/1", description="12 passed", refname="main")
build = second.get_build("ci")
assert build.inprogress and build.commit == second.hash and build.created_on, build
build.update(state="SUCCESSFUL", key="ci", url=build.website)
assert [build.key for build in second.builds()] == ["ci"]
build = second.get_build("ci")
assert build.successful and build.description == "12 passed", build

member = next(iter(workspace.members.each()))
assert member.user["nickname"] == "admin" and member.workspace["slug"] == "home", member

branch = repository.branches.create("feature/x", first.hash)
assert branch.name == "feature/x"
assert sorted(branch.name for branch in repository.branches.each()) == ["feature/x", "main"]
assert repository.branches.get("feature/x").hash == first.hash
repository.tags.create("v1", first.hash)
assert repository.tags.get("v1").hash == first.hash

hook = repository.hooks.create("https://ci.example.org/hook", "ci", ["repo:push"])
assert [found.uuid() for found in repository.hooks.each()] == [hook.uuid()]
hook.delete()

repository.description = "changed"
assert workspace.repositories.get("py-day").description == "changed"
repository.delete()
assert [found.slug for found in workspace.repositories.each()] == ["hello"]
workspace.projects.get("PY").delete()
print("a working day is over")
