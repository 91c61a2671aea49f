"""Fetches what a gate has to know about a range of commits, one call after the other.

Usage: facts.py API OWNER/NAME BASE TIP, with the token in GITHUB_TOKEN.
"""

import json
import os
import sys
import urllib.parse
import urllib.request

api, repository, base, tip = sys.argv[1:]
token = os.environ["GITHUB_TOKEN"]


def get(path):
    """The answer to one call; `gh api` opens a connection for each too."""
    request = urllib.request.Request(f"{api}/repos/{repository}/{path}")
    request.add_header("authorization", f"Bearer {token}")
    request.add_header("user-agent", "facts")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def pages(path, member=None):
    """All entries of a list, a hundred a page."""
    found, page = [], 1
    while True:
        answer = get(f"{path}{'&' if '?' in path else '?'}per_page=100&page={page}")
        entries = answer[member] if member else answer
        found += entries
        if len(entries) < 100:
            return found
        page += 1


pulls = set()
for commit in pages(f"compare/{base}...{tip}", "commits"):
    for pull in pages(f"commits/{commit['sha']}/pulls"):
        pulls.add(pull["number"])
if not pulls:
    sys.exit("no pull request in the range")
for number in sorted(pulls):
    pull = get(f"pulls/{number}")
    head = pull["head"]
    commits = pages(f"pulls/{number}/commits")
    people = {commit["author"] and commit["author"]["id"] for commit in commits}
    people.add(pull["user"]["id"])
    branch = urllib.parse.quote(head["ref"], safe="")
    people |= {push["actor"]["id"] for push in get(f"activity?ref={branch}&per_page=100")}
    reviews = pages(f"pulls/{number}/reviews")
    approved = [
        review
        for review in reviews
        if review["state"] == "APPROVED" and review["commit_id"] == head["sha"] and review["user"]["id"] not in people
    ]
    if not pull["merged"] or not approved:
        sys.exit(f"pull request {number} is not approved")
checks = pages(f"commits/{tip}/check-runs", "check_runs")
print(f"every pull request is approved; {len(checks)} check runs at the tip")
