"""Search finds what is there, in any spelling and script, and says where it comes from and why."""

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from domain import offence
from domain.business import AssertAboutBusiness
from domain.codes import DocumentKind, OffenceType, PartyRole, Reason, Section
from domain.identity import IdentityDocument
from domain.person import AssertAboutPerson, MergePerson, UnmergePerson
from domain.place import Place
from domain.seizure import CorrectGoods, CorrectSeizure, NotePlates, Plate, SubmitSeizure, WriteNarrative
from projections.asking import Unanswerable
from projections.search import Found, Hit, search
from tests.projections.conftest import Node, deliver
from tests.projections.invented import fact, firm, goods, hs, named, party, seizure, substance


def ask(node: Node, **told: Any) -> Found:  # noqa: ANN401  # whatever the question takes
    with psycopg.connect(node.database_url) as connection:
        return search(connection, **told)


def ids(node: Node, **told: Any) -> list[Any]:  # noqa: ANN401  # whatever the question takes
    return [hit.record_id for hit in ask(node, **told).hits]


def test_a_hit_says_what_it_is_and_where_it_comes_from(node: Node, peer: Node) -> None:
    own = node.do(seizure(goods("12.50", substance=substance("COCAINE")), place=Place(country="XA", locode="XAABC")))
    theirs = peer.do(seizure(*[goods("1")] * 5, office="YB01", occurred_on=date(2024, 1, 1)))
    deliver(peer, node)
    head = node.project()
    found = ask(node)
    assert found.position == head
    assert found.next is None
    assert found.hits == (
        Hit(
            kind="seizure",
            record_id=own,
            node="XA",
            version=1,
            position=1,
            occurred_on=date(2024, 5, 31),
            summary="seizure at XA01, XAABC: drugs COCAINE 12.5 KGM (draft)",
        ),
        Hit(
            kind="seizure",
            record_id=theirs,
            node="YB",
            peer="YB",
            instrument="MAA:2020",
            handling="H1",
            version=1,
            position=2,
            occurred_on=date(2024, 1, 1),
            summary="seizure at YB01, XA: drugs 1 KGM, drugs 1 KGM, drugs 1 KGM, +2 lines (draft)",
        ),
    )


def test_filters(node: Node) -> None:
    one = node.do(
        seizure(
            goods("1", hs=hs("240220"), origin="MX", section=Section.TOBACCO),
            goods("2", substance=substance("HEROIN")),
            route=("MX", "US"),
            place=Place(country="XA", subdivision="XA-05"),
        )
    )
    other = node.do(seizure(goods("3", hs=hs("293991")), office="XA02", occurred_on=date(2023, 1, 1)))
    node.do(SubmitSeizure(), other)
    node.project()
    for filters, expected in (
        ({}, [one, other]),
        ({"hs": "24"}, [one]),
        ({"hs": "2402.20"}, [one]),
        ({"hs": ["24", "29"]}, [one, other]),
        ({"section": "tobacco", "origin": "MX"}, [one]),
        ({"section": "drugs", "origin": "MX"}, []),  # no one line is both
        ({"substance": "HEROIN", "route": "US"}, [one]),
        ({"route": ["US", "CA"]}, [one]),
        ({"office": "xa02"}, [other]),
        ({"status": "submitted"}, [other]),
        ({"status": ["submitted", "draft"]}, [one, other]),
        ({"subdivision": "XA-05"}, [one]),
        ({"since": "2023-01-02"}, [one]),
        ({"until": "2023-01-01"}, [other]),
        ({"year": "2023"}, [other]),
        ({"id": str(one)}, [one]),
        ({"node": "YB"}, []),
    ):
        assert ids(node, filters=filters) == expected, filters


def test_pages_go_by_key_newest_first_and_miss_nothing(node: Node) -> None:
    days = [date(2024, 1, 1) + timedelta(days=number % 3) for number in range(11)]
    recorded = [(day, node.do(seizure(occurred_on=day))) for day in days]
    node.project()
    expected = [record_id for _, record_id in sorted(recorded, reverse=True)]
    seen, after = [], None
    for _ in range(4):
        found = ask(node, limit=3, after=after)
        seen += [hit.record_id for hit in found.hits]
        after = found.next
    assert seen == expected
    assert after is None
    with pytest.raises(Unanswerable, match="not the mark of a following page"):
        ask(node, after="bm9uc2Vuc2U=")


def test_open_facts_as_of_a_past_position(node: Node) -> None:
    record_id = node.do(seizure(goods("1", substance=substance("COCAINE"))))
    then = node.project()
    node.do(
        CorrectGoods(line=1, goods=goods("2", substance=substance("HEROIN")), reason=Reason.LABORATORY_RESULT),
        record_id,
    )
    node.do(CorrectSeizure(reason=Reason.ENTRY_ERROR, office="XA09"), record_id)
    node.project()
    assert ids(node, filters={"substance": "COCAINE"}) == []
    past = ask(node, filters={"substance": "COCAINE", "office": "XA01"}, as_of=then)
    assert past.position == then
    assert [hit.summary for hit in past.hits] == ["seizure at XA01, XA: drugs COCAINE 1 KGM (draft)"]
    assert ids(node, as_of=0) == []
    with pytest.raises(Unanswerable, match="not 99 yet"):
        ask(node, as_of=99)


SPELLED = (
    ("The driver claimed the PALLETS were empty", "pallets empty"),
    ("Ehemaliger Zöllner in Łódź", "zollner lodz"),
    ("قال إبراهيم إن الحقيبة فارغة", "ابراهيم"),
    ("قال ابراهيم ان الحقيبة فارغه", "إبراهيم الحقيبة فارغة"),
    ("Контейнер принадлежит фирме Хрущёв", "хрущев"),
    ("Контейнер принадлежит фирме Хрущёв", "khrushchev"),
    ("The container belongs to Khrushchev", "Хрущёв"),
    ("货物属于东方贸易有限公司", "东方贸易"),
    ("货物属于东方贸易有限公司", "東方"),
    ("货物属于东方贸易有限公司", "东"),
    ("货物属于东方贸易有限公司", "dongfang"),
    ("한국에서 온 김정은", "김정은"),
    ("رقم ١٢٣٤٥", "12345"),
    ("vehicle AB-123 CD", '"AB 123"'),
    ("vehicle AB-123 CD", "vehic*"),
    ("O'Brien signed", "o\u2019brien"),
)


def test_words_are_found_in_every_spelling(node: Node) -> None:
    written = dict.fromkeys(text for text, _ in SPELLED)
    known = {text: node.do(seizure(narrative=text)) for text in (*written, "nothing of the kind")}
    node.project()
    for text, sought in SPELLED:
        found = ids(node, text=sought)
        assert known[text] in found, (text, sought)
        assert known["nothing of the kind"] not in found, sought


def test_words_that_do_not_fit_find_nothing(node: Node) -> None:
    record_id = node.do(seizure(narrative="three empty pallets from the east"))
    node.project()
    for sought in ("pallets full", '"pallets empty"', "pallets -east", "pall"):
        assert ids(node, text=sought) == [], sought
    assert ids(node, text='"empty pallets" -west') == [record_id]
    with pytest.raises(Unanswerable, match="no word to look for"):
        ask(node, text="?!")


def test_plates_are_found_however_they_are_spaced(node: Node) -> None:
    record_id = node.do(seizure())
    node.do(NotePlates(plates=(Plate(number="AB-123 CD"),)), record_id)
    node.project()
    for sought in ("ab123cd", "AB 123 CD", "AB-123-CD"):
        assert ids(node, text=sought) == [record_id], sought


def test_an_account_that_was_taken_back_is_found_no_longer(node: Node) -> None:
    record_id = node.do(seizure(narrative="hidden in the tank"))
    node.project()
    node.do(WriteNarrative(text="hidden in the tyres"), record_id)
    node.project()
    assert ids(node, text="tank") == []
    assert ids(node, text="tyres") == [record_id]
    node.erase(record_id)
    node.project()
    assert ids(node, text="tyres") == []
    assert ids(node) == [record_id], "its open facts stay"


NAMED = (
    ("Mohammed Ali Hassan", "Mohamed Ali Hasan"),
    ("Mohammed Ali Hassan", "Hassan, Mohammed Ali"),
    ("Mohammed Ali Hassan", "محمد علي حسن"),
    ("محمد علي حسن", "Muhammad Aly Hassan"),
    ("إبراهيم أحمد", "ابراهيم احمد"),
    ("Иван Петров", "Ivan Petrov"),
    ("Ivan Petroff", "Иван Петров"),
    ("Владимир Кузнецов", "Vladimir Kuznetsov"),
    ("习近平", "Xi Jinping"),
    ("Xi Jinping", "習近平"),
    ("김정은", "Kim Jong Un"),
    ("Jean-Luc O'Brien", "Jean Luc Obrien"),
    ("Kuznetsov Vladimir", "Kusnezow Wladimir"),
    ("Schmidt Michael", "Schmitd Michael"),  # two letters swapped
    ("Gonzalez Maria", "Gonzales Mria"),  # a letter wrong, a letter missing
)


ALIKE = (
    {"Mohammed Ali Hassan", "محمد علي حسن"},
    {"Владимир Кузнецов", "Kuznetsov Vladimir"},
    {"习近平", "Xi Jinping"},
    {"Иван Петров", "Ivan Petroff"},
)


def test_a_name_is_found_in_every_script_and_with_a_slip(node: Node) -> None:
    others = ("John Smith", "李小龍", "Пётр Чайковский", "Abdullah Rahman", "Maria Silva", "Иван Сидоров")
    known = {name: node.do(named(name)) for name in dict.fromkeys((*(name for name, _ in NAMED), *others))}
    of = {record_id: name for name, record_id in known.items()}
    node.project()
    for name, sought in NAMED:
        found = ask(node, name=sought).hits
        ranks = [hit.record_id for hit in found]
        assert known[name] in ranks, (name, sought)
        hit = found[ranks.index(known[name])]
        assert hit.name == name
        assert hit.matched
        assert (hit.score or 0) > 70, (name, sought)
        for before in found[: ranks.index(known[name])]:  # nothing but other spellings of it comes first
            assert any({of[before.record_id], name} <= one for one in ALIKE), (name, sought, before.name)


def test_a_hit_by_name_says_which_part_fitted(node: Node) -> None:
    node.do(named("Mohammed Ali Hassan"))
    node.project()
    (hit,) = ask(node, name="Hasan Mohammed").hits
    assert [(part.asked, part.found) for part in hit.matched] == [("hasan", "hassan"), ("mohammed", "mohammed")]
    assert hit.summary == "person: 1 statement on record"
    assert ask(node, name="Nobody Whatsoever").hits == ()


def test_companies_are_found_whatever_their_form(node: Node) -> None:
    latin = node.do(firm("Eastern Trading Company Limited"))
    chinese = node.do(firm("东方贸易有限公司"))
    node.project()
    assert ids(node, name="Eastern Trading Ltd")[0] == latin
    assert ids(node, name="东方贸易")[0] == chinese
    assert ids(node, name="dongfang maoyi", kind="business")[0] == chinese


def test_a_number_leads_to_whoever_has_it(node: Node) -> None:
    who = node.do(named("Maria Silva"))
    passport = IdentityDocument(kind=DocumentKind.PASSPORT, number="P 123-456")
    node.do(AssertAboutPerson(statement=fact(passport)), who)
    node.project()
    assert ids(node, name="p123456") == [who]
    assert ids(node, name="p123457") == []


def test_cases_of_somebody_by_name_whichever_record_names_them(node: Node) -> None:
    who, same, other = node.do(named("Ivan Petrov")), node.do(named("Peter Johnson")), node.do(named("Olga Sidorova"))
    case = node.do(seizure(parties=(party(who),)))
    of_same = node.do(seizure(parties=(party(same, PartyRole.OWNER),), occurred_on=date(2020, 1, 1)))
    node.do(seizure(parties=(party(other),)))
    crime = node.do(
        offence.RecordOffence(
            offence_type=OffenceType.SMUGGLING,
            office="XA01",
            occurred_on=date(2024, 5, 31),
            seizures=(case,),
            parties=(party(who),),
        )
    )
    node.project()
    assert ids(node, kind="seizure", name="Иван Петров") == [case]
    assert ids(node, kind="offence", name="Ivan Petrov") == [crime]
    node.do(MergePerson(other=same), who)
    node.project()
    assert ids(node, kind="seizure", name="Ivan Petrov") == [case, of_same]
    assert ask(node, name="Ivan Petrov").hits[0].one_with == (same,)
    assert ask(node, name="Peter Johnson").hits[0].one_with == (who,)
    node.do(UnmergePerson(other=same, reason=Reason.ENTRY_ERROR), who)
    node.project()
    assert ids(node, kind="seizure", name="Ivan Petrov") == [case]


def test_offences_by_filters(node: Node) -> None:
    case = node.do(seizure())
    crime = node.do(
        offence.RecordOffence(
            offence_type=OffenceType.SMUGGLING,
            office="XA01",
            occurred_on=date(2024, 5, 31),
            provision="LAW:7",
            seizures=(case,),
            narrative="hidden in the tank",
        )
    )
    node.project()
    for filters in ({"type": "smuggling"}, {"seizure": str(case)}, {"provision": "LAW:7", "status": "detected"}):
        found = ask(node, kind="offence", filters=filters)
        assert [hit.record_id for hit in found.hits] == [crime]
    assert found.hits[0].summary == "smuggling at XA01, under LAW:7: 1 seizure (detected)"
    assert ids(node, kind="offence", text="tank") == [crime]
    assert ids(node, text="tank") == []
    assert ids(node, kind="offence", filters={"type": "drugs"}) == []


def test_persons_are_listed_newest_first(node: Node) -> None:
    known = [node.do(named(name)) for name in ("A One", "B Two", "C Three")]
    node.project()
    first = ask(node, kind="person", limit=2)
    assert [hit.record_id for hit in first.hits] == [known[2], known[1]]
    assert [hit.record_id for hit in ask(node, kind="person", limit=2, after=first.next).hits] == [known[0]]


def test_an_erased_person_is_found_no_longer(node: Node) -> None:
    who = node.do(named("Ivan Petrov"))
    case = node.do(seizure(parties=(party(who),)))
    node.project()
    assert ids(node, kind="seizure", name="Ivan Petrov") == [case]
    node.erase(who)
    node.project()
    assert ids(node, name="Ivan Petrov") == []
    assert ids(node, kind="seizure", name="Ivan Petrov") == []
    (hit,) = ask(node, kind="person").hits
    assert hit.name is None


def test_businesses_lose_a_name_that_is_not_theirs_any_more(node: Node) -> None:
    record_id = node.do(firm("Northern Star"))
    node.do(AssertAboutBusiness(statement=firm("Southern Cross").statements[0]), record_id)
    node.project()
    assert ids(node, name="northern star") == ids(node, name="southern cross") == [record_id]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"kind": "vessel"}, "no kind 'vessel'"),
        ({"limit": 0}, "at least one"),
        ({"name": "Ivan", "as_of": 0}, "Names keep no past"),
        ({"kind": "person", "filters": {"office": "XA01"}}, "not by filters"),
        ({"name": "Ivan", "after": "x"}, "no following page"),
        ({"kind": "offence", "filters": {"hs": "24"}}, "no field 'hs'"),
        ({"filters": {"substance": "COC\x00AINE"}}, "characters that nothing on record has"),
        ({"filters": {"source": "\udc80"}}, "characters that nothing on record has"),
        ({"text": "word " * 500}, "At most 1000 characters"),
        ({"name": "?!"}, "no word to look for"),
    ],
)
def test_what_cannot_be_asked_is_said(node: Node, told: dict[str, Any], said: str) -> None:
    node.project()
    with pytest.raises(Unanswerable, match=said):
        ask(node, **told)
